// What happens by itself while the page is open: streams, the history, the clock, and asking now and then.
import { watch } from 'vue'
import { act } from './doing'
import { listen } from './live'
import { here, move } from './moving'
import { goTo, onMoved } from './place'
import { readCodes, readThread, refresh, start } from './reading'
import { account, fan, keyOf, kept, phone } from './store'
import { put } from './thread'

const TYPING_MS = 15_000
let typingTimer = 0
let stopListening: () => void = () => undefined

function listenToCurrent(): void {
  stopListening()
  stopListening = () => undefined
  const { appid, fanId } = phone
  if (!appid || !fanId) return
  const target = kept(appid, fanId)
  stopListening = listen(appid, fanId, {
    opened() {
      target.online = true
      void readThread(appid, fanId)
    },
    broken() {
      target.online = false
      target.typing = false
      if (!target.loaded) void readThread(appid, fanId)
    },
    message: (message) => put(target, message),
    thread(state) {
      Object.assign(target, state)
      window.clearTimeout(typingTimer)
      // Nobody says when typing ends without a message; WeChat stops showing it by itself.
      typingTimer = window.setTimeout(() => (target.typing = false), TYPING_MS)
    },
  })
}

/** Starts the phone; called once. */
export function run(): void {
  watch(() => [phone.appid, phone.fanId], listenToCurrent)
  // After the screen has changed: with what is gone from it, its overlays are.
  watch(here, (place) => phone.ready && goTo(place), { flush: 'post' })
  // Opening the customer-service chat of a mini-program is an event of its own.
  watch(
    () => (phone.ready && phone.screen === 'chat' && account.value?.kind === 'miniprogram' && fan.value
      ? keyOf(phone.appid, phone.fanId)
      : ''),
    (entered) => entered && void act({ kind: 'enter' }, '进入客服会话'),
  )
  watch(
    () => phone.appid,
    () => {
      phone.codes = []
      void readCodes()
    },
  )
  onMoved(move, here)
  window.setInterval(() => (phone.now = new Date()), 1_000)
  window.setInterval(refresh, 5_000)
  void start()
}
