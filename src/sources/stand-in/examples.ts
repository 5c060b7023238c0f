import type { StandIn } from './stand-in.ts';

/** What `npm run probe` asks a source's upstream for: `src/sources/<id>/stand-in/examples.ts` exports it as `examples`. */
export interface Examples {
  /** A few keys that the live upstream has, asked for unless the caller names others. */
  keys: string[];
  /** Starts the stand-in, and names the keys whose recorded answers the live ones are compared with. */
  start(): Promise<{ standIn: StandIn; keys: string[] }>;
  /**
   * The kind of a JSON answer, where answers to requests with one subject have several forms; the subject by default.
   * Only answers of one kind are compared.
   */
  kindOf?(subject: string, url: string): string;
}
