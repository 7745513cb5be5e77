// Saving a file of the API: read before it is saved, so that a refusal is said where one is, and the page stays.
import { readFile, type Given, type Operation } from '../api'

/** Saves what `operation` answers under the name that the server gave it. Raises ApiError, also for half a file. */
export async function save<K extends Operation>(operation: K, given: Given<K>): Promise<void> {
  const { name, file } = await readFile(operation, given)
  const link = document.createElement('a')
  link.href = URL.createObjectURL(file)
  link.download = name
  link.click()
  URL.revokeObjectURL(link.href)
}
