import type { Examples } from '../../stand-in/examples.ts';
import { NPM_RECORDINGS, readRecordings } from './recordings.ts';
import { startStandIn } from './stand-in.ts';

/** Documents written by hand in a form that the registry does serve. The others are damaged, or of no package. */
const OLD_FORMS = ['license-object', 'license-array', 'repository-string', 'keywords-string', 'author-string'];

export const examples: Examples = {
  // Small packages: a scoped one, because the downloads API answers those one by one, and three that it counts at once.
  keys: ['aws4fetch', 'cookie', 'path-to-regexp', '@sindresorhus/is'],
  async start() {
    const standIn = await startStandIn({ handMade: false, fast: true, gzip: false });
    return { standIn, keys: [...readRecordings(NPM_RECORDINGS).packuments.keys(), ...OLD_FORMS] };
  },
  // The answer to a scoped name is its count; the answer to a list has a count under each name.
  kindOf: (subject, url) =>
    /\/downloads\/point\/[^/]+\/@/.test(new URL(url).pathname) ? `${subject} of one name` : subject,
};
