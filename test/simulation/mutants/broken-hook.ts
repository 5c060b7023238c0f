import { BROKEN } from './broken.ts';
import { importWith } from './edits.ts';

/** Imported before a program: it then runs with the broken engine that `SIM_BROKEN` names. */
const broken = BROKEN.find(({ name }) => name === process.env.SIM_BROKEN);
if (!broken) throw new Error(`SIM_BROKEN: expected the name of a broken engine, got ${process.env.SIM_BROKEN}`);
importWith(broken);
