import type { SourceStatus } from '../../contract/source.ts';
import type { StandIn } from './stand-in.ts';

/** What `npm run demo` shows of a source: `src/sources/<id>/stand-in/demo.ts` exports it as `demo`. */
export interface Demo {
  /** A short query over the source's tables, for a person to try. */
  example: string;
  /** Pairs of the setting FEEDS, as `npm>whois`, that the demo turns on; those whose sources have demos count. */
  feeds?: string[];
  /** Starts the source's stand-in for the demo. */
  start(): Promise<DemoRun>;
}

/** A started stand-in and the acts of its demo, in the order of `daysAhead`. */
export interface DemoRun {
  standIn: StandIn;
  /** What the stand-in serves, in a few words. */
  content: string;
  acts: DemoAct[];
}

/**
 * One part of a demo: it begins, the source works until it is done, and the result is shown. The demo proves a source's
 * tables after its last act.
 */
export interface DemoAct {
  /** How many days the worker's clock is ahead. All sources' acts with the same number share one run of the worker. */
  daysAhead: number;
  /** Changes what the stand-in serves, before the worker of this act starts. */
  prepare?(): void;
  /** Asks the worker for work, such as keys to watch. */
  begin?(demoConsole: DemoConsole): Promise<void>;
  /** Changes of what the stand-in serves while the worker runs, each once everything before it is done. */
  steps?: ((demoConsole: DemoConsole) => void)[];
  isDone(status: SourceStatus): boolean;
  progress(status: SourceStatus): DemoProgress;
  end(result: DemoResult): Promise<void>;
}

/** How far an act is: `done` of `total`, counted in `unit`. */
export interface DemoProgress {
  done: number;
  total: number;
  unit: string;
}

/** The API of the worker that follows the stand-in, and the terminal. */
export interface DemoConsole {
  /** Calls the worker's API: POST where there is a body, else GET. Throws unless it answers with status 200. */
  call<T>(path: string, body?: unknown): Promise<T>;
  print(text: string): void;
  printTable(columns: string[], rows: (string | number)[][]): void;
}

/** The same with the lake, when an act is done: the source has nothing left to do, and every row is in a file. */
export interface DemoResult extends DemoConsole {
  status: SourceStatus;
  /** The date on the worker's clock, `YYYY-MM-DD`. */
  today: string;
  /** The text of an object of the lake's bucket; null when there is none. */
  textOf(key: string): Promise<string | null>;
  /** Prints a query and its answer, and checks that the answer has at least `rowsMin` rows. */
  query(query: DemoQuery): Promise<void>;
  /** Adds a check to the source's proof. */
  check(check: DemoCheck): void;
}

/** A query over the lake. `answerOnly`: its text is not printed, because it is long or was printed before. */
export interface DemoQuery {
  title: string;
  sql: string;
  answerOnly?: boolean;
  rowsMin?: number;
}

/** One thing that must hold, and what was found. */
export interface DemoCheck {
  check: string;
  ok: boolean;
  found: string;
}

/** Whether every change of a feed, up to its newest cursor, is in a file. */
export function isFollowed({ cursor, buffer }: SourceStatus, head: string): boolean {
  return cursor.durable === head && buffer.rows === 0;
}

/** Whether every due key of an agenda was visited, and every row that came of it is in a file. */
export function isVisited({ agenda, cursor, buffer, balance }: SourceStatus): boolean {
  return agenda?.due === 0 && balance.changes > 0 && cursor.accepted === cursor.durable && buffer.rows === 0;
}
