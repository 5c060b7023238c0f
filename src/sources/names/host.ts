/** The host of a web address, in a list; none where the value is none. An address may lack its scheme: people write it so. */
export function hostsIn(address: unknown): string[] {
  if (typeof address !== 'string') return [];
  const text = address.trim();
  const url = URL.parse(/^[\w.-]+\.[a-z-]{2,}(\/|$)/i.test(text) ? `https://${text}` : text);
  return url?.hostname ? [url.hostname] : [];
}
