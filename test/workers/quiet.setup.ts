/**
 * What the runtime prints of its own accord while tests pass: the exception of each abort that a test asks for, and an
 * alarm that is late. The pool has no setting for these.
 */
const NOISE = /^(exception = .*Application called abortAllDurableObjects\(\)|NOSENTRY SQLite alarm overdue)/;

/** Leaves out these lines of the runtime; everything else that is written to standard error is shown. */
export default function setup(): () => void {
  const { stderr } = process;
  const write = stderr.write;
  stderr.write = ((text: string | Uint8Array, ...rest: []) =>
    NOISE.test(String(text)) || write.call(stderr, text, ...rest)) as typeof write;
  return () => {
    stderr.write = write;
  };
}
