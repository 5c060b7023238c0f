import { importWith } from './edits.ts';
import { MISTAKES } from './stream-mistakes.ts';

/** Plays the stream's scenario, with the mistake that is named, until it is seen; `seen: <what>` or `nothing seen`. */
importWith(MISTAKES.find(({ name }) => name === process.argv[2]));
const { DEATHS, playStream } = await import('../schedules/stream-scenario.ts');
try {
  for (const death of DEATHS) for (let nth = 0; await playStream(nth, death); ) nth += 1;
  console.log('nothing seen');
} catch (error) {
  console.log(`seen: ${(error as Error).message.split('\n')[0]}`);
}
