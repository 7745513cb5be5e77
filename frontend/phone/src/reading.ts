// Reading what the simulator knows: accounts and fans, conversations, codes.
import * as api from './api'
import type { Fan } from './contract'
import { move } from './moving'
import { begin } from './place'
import { kept, phone, sentence } from './store'
import { load } from './thread'

/** Reads the accounts and fans; called at the start and to try again. */
export async function start(): Promise<void> {
  try {
    const { accounts, fans } = await api.readState()
    phone.accounts = accounts
    phone.fans = fans
    phone.error = ''
    move(begin(), true)
    phone.ready = true
  } catch (error) {
    phone.error = sentence(error)
  }
}

let created = 0 // fans made by this page
/** A fan was made here: a reading from before does not know them. */
export function addFan(made: Fan): void {
  created++
  phone.fans.push(made)
}

/** Looks for accounts, fans and codes that came since; failures show elsewhere (the chat says when it is offline). */
export async function refresh(): Promise<void> {
  if (document.hidden) return
  if (!phone.ready || !phone.appid) return start()
  const before = created
  try {
    const { accounts, fans } = await api.readState()
    if (created !== before) return // a reading from before our new fan would lose them
    phone.accounts = accounts
    phone.fans = fans
  } catch {
    return
  }
  await readCodes()
}

export async function readThread(appid: string, fanId: string): Promise<void> {
  const target = kept(appid, fanId)
  const before = new Set(target.messages.map((message) => message.id))
  try {
    load(target, await api.readThread(appid, fanId), before)
  } catch (error) {
    target.error = sentence(error)
  }
}

/** Reads every conversation of this fan, for the list of conversations. */
export async function readAllThreads(): Promise<void> {
  const { fanId } = phone
  if (!fanId) return
  await Promise.all(phone.accounts.map(({ appid }) => readThread(appid, fanId)))
}

export async function readCodes(): Promise<void> {
  const { appid } = phone
  if (!appid) return
  try {
    const codes = await api.readQrCodes(appid)
    if (appid === phone.appid) phone.codes = codes
    phone.codesError = ''
  } catch (error) {
    phone.codesError = sentence(error)
  }
}
