import { messageOf } from '../errors.ts';

const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

/**
 * Runs a program and exits with the code it gives. The first SIGINT, SIGTERM or SIGHUP aborts `signal`; later ones do
 * nothing, so that `main` can clean up. An error is written as its message, without a stack trace, and the code is 1.
 */
export async function runProgram(main: (signal: AbortSignal) => Promise<number>): Promise<never> {
  const aborted = new AbortController();
  for (const name of SIGNALS) process.on(name, () => aborted.abort());
  // The reader of the output may end first, as `head` does.
  process.stdout.on('error', error => {
    if ((error as NodeJS.ErrnoException).code !== 'EPIPE') throw error;
    process.exit(0);
  });
  let code: number;
  try {
    code = await main(aborted.signal);
  } catch (error) {
    const isInterrupted = aborted.signal.aborted && (error as Error).name === 'AbortError';
    if (!isInterrupted) process.stderr.write(`${messageOf(error)}\n`);
    code = isInterrupted ? 0 : 1;
  }
  await new Promise<void>(resolve => process.stdout.write('', () => resolve()));
  process.exit(code);
}

/** Text of an upstream as one line without control characters, which could move a terminal's cursor. */
export function plainText(text: string): string {
  return text.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, character =>
    character === '\n' || character === '\t' ? ' ' : '',
  );
}
