import { BENCHES } from './benches.ts';
import { runBenches } from './program.ts';

// What was started ends with this process, however it ends.
for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => process.exit(1));

process.exitCode = await runBenches({
  benches: BENCHES,
  names: process.argv.slice(2),
  size: 'full',
  screen: {
    out: text => void process.stdout.write(text),
    err: text => void process.stderr.write(text),
  },
});
