import type { AuditAction } from './audit.ts';
import type { SourceState } from './source.ts';

export type ControlAction = 'start' | 'pause' | 'flush';

/**
 * The result of a control. `changed` is false when it changed nothing, because the source was in that state already.
 */
export interface ControlResult {
  source: string;
  action: ControlAction | AuditAction;
  changed: boolean;
  state: SourceState;
}
