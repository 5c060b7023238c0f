import { COMMIT_MISTAKES } from './commit-mistakes.ts';
import { importWith } from './edits.ts';

/** Imported before a program: it then runs with the mistake of the committer that `COMMIT_MISTAKE` names. */
const mistake = COMMIT_MISTAKES.find(({ name }) => name === process.env.COMMIT_MISTAKE);
if (!mistake) throw new Error(`COMMIT_MISTAKE: expected the name of a mistake, got ${process.env.COMMIT_MISTAKE}`);
importWith(mistake);
