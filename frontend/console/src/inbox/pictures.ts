// Pictures of conversations, each fetched once.
import { ask } from '../api'

// By media id, as addresses that an <img> takes; those we sent ourselves are known already.
const pictures = new Map<string, string | Promise<string>>()

export const showAs = (mediaId: string, address: string) => void pictures.set(mediaId, address)

export function picture(conversation: number, mediaId: string): Promise<string> {
  const known = pictures.get(mediaId)
  if (known !== undefined) return Promise.resolve(known)
  const path = { conversation_id: conversation }
  const asked = ask('GET /inbox/{conversation_id}/media', { path, query: { media_id: mediaId } }).then(
    (found) => `data:${found.content_type};base64,${found.data}`,
  )
  pictures.set(mediaId, asked)
  asked.catch(() => pictures.delete(mediaId))
  return asked
}
