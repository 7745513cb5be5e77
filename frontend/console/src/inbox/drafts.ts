// What is being written, one draft per conversation: the reply and the note, so that neither becomes the other.
import { shallowRef, type Ref } from 'vue'
import { keep, kept } from '../kept'

export interface Draft {
  reply: string
  note: string
  /** Whether it is the note that is being written. */
  noting: boolean
}

const EMPTY: Draft = { reply: '', note: '', noting: false }

function keptOf(conversation: number): Draft {
  const text = kept(`draft.${conversation}`)
  return text === null ? EMPTY : (JSON.parse(text) as Draft)
}

/** The draft of the conversation that is `open`; each change is kept at once, whatever happens to the page. */
export function useDrafts(open: Ref<number | null>) {
  const draft = shallowRef<Draft>(EMPTY)
  const draftOf = (conversation: number) => (conversation === open.value ? draft.value : keptOf(conversation))

  const turn = () => (draft.value = open.value ? keptOf(open.value) : EMPTY)

  function write(change: Partial<Draft>, conversation = open.value) {
    if (!conversation) return
    const next = { ...draftOf(conversation), ...change }
    if (conversation === open.value) draft.value = next
    keep(`draft.${conversation}`, next.reply.trim() || next.note.trim() ? JSON.stringify(next) : null)
  }

  /** A note is stored: its draft goes, unless it says something else by now. */
  function noted(text: string, conversation: number) {
    if (draftOf(conversation).note.trim() === text) write({ note: '', noting: false }, conversation)
  }

  return { draft, turn, write, noted }
}
