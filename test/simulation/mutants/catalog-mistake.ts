import { MISTAKES } from './catalog-mistakes.ts';
import { importWith } from './edits.ts';

/** Plays the catalog's scenario, with the mistake that is named, until a reader sees it; `seen: <what>` or `nothing seen`. */
importWith(MISTAKES.find(({ name }) => name === process.argv[2]));
const { DEATHS, playCatalog } = await import('../schedules/catalog-scenario.ts');
try {
  for (const death of DEATHS) for (let nth = 0; await playCatalog(nth, death); ) nth += 1;
  console.log('nothing seen');
} catch (error) {
  console.log(`seen: ${(error as Error).message.split('\n')[0]}`);
}
