import type { World } from '../world/world.ts';

const LATE_MS = 3 * 60_000;

/**
 * What happens at a call. The instance dies before it, after it, or while the call takes three minutes (`late`). Or the
 * instance lives: its call takes three minutes (`held`), or its answer is lost.
 */
export type CallFault = 'before' | 'after' | 'late' | 'held' | 'answer lost';

interface NthCall {
  pattern: RegExp;
  /** From 0 on. */
  nth: number;
  fault: CallFault;
  /** Called when the instance has died before or during the call. */
  onKilled?: () => void;
}

/** Lets a fault happen at the nth matching call. The result says whether that call has been made. */
export function faultNthCall(world: World, { pattern, nth, fault, onKilled }: NthCall): () => boolean {
  let calls = 0;
  const isNth = (call: string) => pattern.test(call) && calls++ === nth;
  if (fault === 'after' || fault === 'answer lost')
    world.calls.after(call => {
      if (!isNth(call)) return;
      if (fault === 'after') world.kill();
      else throw new Error('the answer was lost');
    });
  else
    world.calls.before(call => {
      if (!isNth(call)) return;
      if (fault !== 'held') world.kill();
      if (fault === 'before') throw new Error('the instance is dead');
      onKilled?.();
      return world.clock.sleep(LATE_MS);
    });
  return () => calls > nth;
}
