import { type SeedRange, trySeeds } from './seeds.ts';

// Schedules throw thousands of errors, and only their messages are read.
Error.stackTraceLimit = 0;
const range = JSON.parse(process.argv[2] ?? '') as SeedRange;
process.send!(await trySeeds(range));
process.disconnect();
