import type { FeedRow } from './recordings.ts';

/** A row that a made-up name or a test adds to the journal; the journal gives it a serial and a time. */
export type NewRow = Pick<FeedRow, 'name' | 'version' | 'action'>;

/** The journal of the stand-in. Rows wait until they are released; every released row stays visible. */
export interface Feed {
  /** Adds a waiting row after all others. */
  add(row: NewRow): FeedRow;
  /** Releases the next `count` waiting rows and returns them. */
  release(count: number): FeedRow[];
  /** Gives a row the next serial and releases it at once, before the waiting rows. `document` goes to `onRelease`. */
  push(row: NewRow, document?: unknown): FeedRow;
  /** Numbers all rows again from `firstSerial`, waiting rows last, as after a loss of the index's database. */
  renumber(firstSerial: number): void;
  /** Released rows after a serial, ascending. */
  after(serial: number, limit: number): FeedRow[];
  rows(): FeedRow[];
  waiting(): number;
  lastSerial(): number;
}

/** Between the times of two added rows. */
const ROW_SECONDS = 3;

/** The difference of two neighbouring serials, 1 to 3: ids of the journal have gaps. */
function serialStep(index: number): number {
  return 1 + (index % 3);
}

/** Makes a journal of recorded rows, all waiting. `onRelease` gets each row when it becomes visible. */
export function makeFeed(
  recorded: FeedRow[],
  first: FeedRow,
  onRelease: (row: FeedRow, document?: unknown) => void,
): Feed {
  const visible: FeedRow[] = [];
  let waiting = [...recorded];
  let newest = { serial: first.serial - 1, timestamp: first.timestamp };
  const last = () => waiting.at(-1) ?? newest;

  const show = (row: FeedRow, document?: unknown): FeedRow => {
    visible.push(row);
    newest = row;
    onRelease(row, document);
    return row;
  };
  const rowAfter = (before: Pick<FeedRow, 'serial' | 'timestamp'>, { name, version, action }: NewRow): FeedRow => ({
    name,
    version,
    action,
    timestamp: before.timestamp + ROW_SECONDS,
    serial: before.serial + serialStep(visible.length + waiting.length),
  });

  return {
    add(row) {
      const added = rowAfter(last(), row);
      waiting.push(added);
      return added;
    },
    release(count) {
      const released = waiting.slice(0, count);
      waiting = waiting.slice(released.length);
      for (const row of released) show(row);
      return released;
    },
    push(row, document) {
      const pushed = rowAfter(newest, row);
      const overlap = pushed.serial - (waiting[0]?.serial ?? Number.POSITIVE_INFINITY) + 1;
      if (overlap > 0) for (const later of waiting) later.serial += overlap;
      return show(pushed, document);
    },
    renumber(firstSerial) {
      let serial = firstSerial;
      for (const [i, row] of [...visible, ...waiting].entries()) {
        if (i > 0) serial += serialStep(i);
        row.serial = serial;
      }
      if (visible.length === 0) newest = { serial: firstSerial - 1, timestamp: newest.timestamp };
    },
    after(serial, limit) {
      const start = firstAfter(visible, serial);
      return visible.slice(start, start + limit);
    },
    rows: () => [...visible],
    waiting: () => waiting.length,
    lastSerial: () => newest.serial,
  };
}

/** The index of the first row with a serial over `serial`. */
function firstAfter(rows: FeedRow[], serial: number): number {
  let low = 0;
  let high = rows.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (rows[middle]!.serial > serial) high = middle;
    else low = middle + 1;
  }
  return low;
}
