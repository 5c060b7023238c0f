import { startStandIn } from '../../../src/sources/npm/stand-in/stand-in.ts';
import type { StandIn } from '../walk.ts';

export async function startWalk(folder: string): Promise<StandIn> {
  const standIn = await startStandIn({ folder });
  return {
    origin: standIn.origin,
    env: pageChanges => ({
      NPM_FEED_URL: standIn.feedUrl,
      NPM_REGISTRY_URL: standIn.registryUrl,
      NPM_DOWNLOADS_URL: standIn.downloadsUrl,
      NPM_START: '0',
      NPM_PAGE_CHANGES: pageChanges,
    }),
    subject: 'npm',
    failPage: answer => standIn.fault(new URL(standIn.feedUrl).pathname, [answer]),
    failDocument: (key, answer) => standIn.fault(key, [answer]),
    wrongPage: { body: '{"results":{},"last_seq":1}', field: 'results' },
    wrongDocument: { body: key => JSON.stringify({ name: key, versions: 7 }), field: 'versions' },
    retried: ['truncated-gzip', 'cut-connection'],
    close: standIn.stop,
  };
}
