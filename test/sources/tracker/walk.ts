import { makeFaults } from '../../../src/sources/stand-in/faults.ts';
import { startServer } from '../../../src/sources/stand-in/server.ts';
import type { StandIn } from '../walk.ts';

const NAMES = Array.from({ length: 24 }, (_, index) => `owner-${index % 4}/repository-${index}`);
const GONE = ['owner-0/gone', 'owner-1/gone'];
const CHANGED_LATER = [NAMES[3]!, NAMES[17]!];

/** The upstream of the tracker: each repository has three commits, and a month later some have one more. */
export async function startWalk(): Promise<StandIn> {
  let months = 0;
  const faults = makeFaults({});
  const revisionOf = (name: string) => (NAMES.includes(name) ? (CHANGED_LATER.includes(name) ? 1 + months : 1) : 0);
  const repositoryOf = (name: string) => ({
    revision: revisionOf(name),
    description: `${name} in revision ${revisionOf(name)}`,
    commits: Array.from({ length: 2 + revisionOf(name) }, (_, sha) => ({ sha: `${sha}`, message: `of ${name}` })),
  });
  const { server, origin } = await startServer({ port: 0, gzip: false }, ({ pathname, searchParams }) => {
    const name = pathname.startsWith('/repos/') ? pathname.slice('/repos/'.length) : null;
    const fault = faults.next({ path: pathname, name });
    if (fault) return fault;
    if (name === null) {
      const revisions = (searchParams.get('names') ?? '').split(',').map(revisionOf);
      return { body: JSON.stringify({ revisions }) };
    }
    return NAMES.includes(name) ? { body: JSON.stringify(repositoryOf(name)) } : { status: 404, body: '{}' };
  });
  return {
    origin,
    env: () => ({ TRACKER_URL: origin }),
    subject: 'tracker',
    failPage: answer => faults.add('/probe', [answer]),
    failDocument: (key, answer) => faults.add(key, [answer]),
    wrongPage: { body: '{"revisions":{}}', field: 'revisions' },
    wrongDocument: { body: () => '{"revision":1,"description":7,"commits":[]}', field: 'description' },
    retried: [],
    agenda: {
      keys: NAMES.concat(GONE),
      invalidKeys: ['', '/', 'owner', 'owner/', '/name', 'a/b/c', 'owner/na me', 'ö/name', '-owner/name'],
      expected: key => ({
        visits: 1,
        outcome: GONE.includes(key) ? { gone: true } : { row: { description: repositoryOf(key).description } },
      }),
      changedLater: CHANGED_LATER,
      hasParts: false,
      passMonth() {
        months += 1;
      },
    },
    close: () => new Promise(resolve => void server.close(() => resolve()).closeAllConnections()),
  };
}
