/** The host of a URL, in a list; none where the value is no URL, or one without a host. */
export function hostsIn(url: unknown): string[] {
  return typeof url === 'string' && URL.canParse(url) ? [new URL(url).hostname].filter(Boolean) : [];
}
