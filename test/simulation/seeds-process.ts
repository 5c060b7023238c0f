import { type SeedRange, trySeeds } from './seeds.ts';

const range = JSON.parse(process.argv[2] ?? '') as SeedRange;
process.send!(await trySeeds(range));
process.disconnect();
