// What a fan asked, handed to the next page beside its address: addresses end up in the server's logs.

/** For `router.push`: the question goes along in the browser's history, and outlives a reload there. */
export const asking = (asked: string) => ({ state: { asked } })

/** What came along with the page that is shown; '' for nothing. */
export function askedFor(): string {
  const { asked } = (history.state ?? {}) as { asked?: unknown }
  return typeof asked === 'string' ? asked : ''
}
