import { type SeedRange, trySeeds } from './seeds.ts';

// Errors are thrown by the thousand, and only their messages are told.
Error.stackTraceLimit = 0;
const range = JSON.parse(process.argv[2] ?? '') as SeedRange;
process.send!(await trySeeds(range));
process.disconnect();
