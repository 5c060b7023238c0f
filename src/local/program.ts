import { messageOf } from '../errors.ts';

const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

/**
 * Runs a program to its end and exits with the code it gives. The first signal that asks it to end aborts `signal`; what
 * `main` cleans up then is not cut short by another. An error is told by its message, without a trace, with code 1.
 */
export async function runProgram(main: (signal: AbortSignal) => Promise<number>): Promise<never> {
  const aborted = new AbortController();
  for (const name of SIGNALS) process.on(name, () => aborted.abort());
  // The reader of our output may go early, `head` for one.
  process.stdout.on('error', error => {
    if ((error as NodeJS.ErrnoException).code !== 'EPIPE') throw error;
    process.exit(0);
  });
  let code: number;
  try {
    code = await main(aborted.signal);
  } catch (error) {
    const asked = aborted.signal.aborted && (error as Error).name === 'AbortError';
    if (!asked) process.stderr.write(`${messageOf(error)}\n`);
    code = asked ? 0 : 1;
  }
  await new Promise<void>(resolve => process.stdout.write('', () => resolve()));
  process.exit(code);
}

/** Text of an upstream as one line that a terminal can be given: control characters could move its cursor. */
export function plainText(text: string): string {
  return text.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, character =>
    character === '\n' || character === '\t' ? ' ' : '',
  );
}
