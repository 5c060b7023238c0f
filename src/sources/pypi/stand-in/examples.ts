import type { Examples } from '../../stand-in/examples.ts';
import { keyOf, PYPI_RECORDINGS, readRecordings } from './recordings.ts';
import { startStandIn } from './stand-in.ts';

/** Documents that lack a field which the index does serve. */
const INCOMPLETE = ['naive-dates'];

export const examples: Examples = {
  // Small projects: of one maintainer and of many, with an expression as licence and without, and a name with a dot.
  keys: ['iniconfig', 'sampleproject', 'toml', 'zope-event'],
  async start() {
    const standIn = await startStandIn({ fast: true, gzip: false });
    const keys = readRecordings(PYPI_RECORDINGS)
      .projects.filter(({ recipe }) => recipe === undefined)
      .map(({ name }) => keyOf(name))
      .filter(key => standIn.documentOf(key) !== null && !INCOMPLETE.includes(key));
    return { standIn, keys };
  },
};
