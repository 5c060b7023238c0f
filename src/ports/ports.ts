import type { BucketPort } from './bucket.ts';
import type { EncodePort } from './data-file.ts';
import type { FeedingPort } from './inlet.ts';
import type { LoadPort } from './loader.ts';
import type { ClockPort, D1Port, LogPort, StreamPort, WakePort } from './platform.ts';
import type { TicketPort } from './queues.ts';
import type { SqlPort } from './sql.ts';

/** Everything outside of the engine that the engine uses. */
export interface Ports {
  sql: SqlPort;
  bucket: BucketPort;
  d1: D1Port;
  load: LoadPort;
  encode: EncodePort;
  clock: ClockPort;
  wake: WakePort;
  tickets: TicketPort;
  feeding: FeedingPort;
  streams: StreamPort;
  log: LogPort;
}
