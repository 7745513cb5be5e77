// A picture made small enough for the server and a slow network.
import { ApiError } from '../api'

const MOST = 900_000
const EDGE = 1920
const refusal = (text: string) => new ApiError(text, 422, 'picture')

/** The file itself where it fits, else a JPEG of it. Raises ApiError with a sentence for people. */
export async function shrink(file: File): Promise<Blob> {
  if (!/^image\/(jpeg|png|gif|webp|bmp)$/.test(file.type)) throw refusal('只能发送图片（JPG、PNG、GIF）')
  if (file.size <= MOST && /^image\/(jpeg|png|gif)$/.test(file.type)) return file
  const bitmap = await createImageBitmap(file).catch(() => {
    throw refusal('这张图片打不开')
  })
  for (const [edge, quality] of [[EDGE, 0.85], [1440, 0.75], [1080, 0.65]] as const) {
    const share = Math.min(1, edge / Math.max(bitmap.width, bitmap.height))
    const canvas = document.createElement('canvas')
    canvas.width = Math.round(bitmap.width * share)
    canvas.height = Math.round(bitmap.height * share)
    const context = canvas.getContext('2d')
    if (!context) break
    context.fillStyle = '#fff'
    context.fillRect(0, 0, canvas.width, canvas.height)
    context.drawImage(bitmap, 0, 0, canvas.width, canvas.height)
    const blob = await new Promise<Blob | null>((done) => canvas.toBlob(done, 'image/jpeg', quality))
    if (blob && blob.size <= MOST) return blob
  }
  throw refusal('图片太大，请压缩后再发')
}
