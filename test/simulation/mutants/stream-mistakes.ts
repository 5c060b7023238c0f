import type { Mistake } from './edits.ts';

const STREAMER = 'src/engine/publish/streams.ts';
const JOURNAL = 'src/engine/journal/streams.ts';

export const MISTAKES: Mistake[] = [
  {
    name: 'acknowledged before it is sent',
    edits: [
      {
        file: STREAMER,
        text: '    try {\n      const sent = ',
        instead: '    streams.acknowledge(table.name, binding, { firstLsn, lastLsn });\n    try {\n      const sent = ',
      },
    ],
  },
  {
    name: 'acknowledged past what was sent',
    edits: [
      {
        file: STREAMER,
        text: 'streams.acknowledge(table.name, binding, { firstLsn, lastLsn });',
        instead: 'streams.acknowledge(table.name, binding, { firstLsn, lastLsn: lastLsn + 1 });',
      },
    ],
  },
  {
    name: 'a row passed over that is refused',
    edits: [
      {
        file: STREAMER,
        text: '      if (records.length > 1) return false;\n      throw',
        instead:
          '      streams.acknowledge(table.name, binding, { firstLsn, lastLsn });\n      if (records.length > 0) return true;\n      throw',
      },
    ],
  },
  {
    name: 'what a refused half leaves passed over',
    edits: [{ file: STREAMER, text: 'left = left.slice(some.length);', instead: 'left = [];' }],
  },
  {
    name: 'rows in the order of the file',
    edits: [{ file: 'src/parquet/read.ts', text: '  return sorted;', instead: '  return rows;' }],
  },
  {
    name: 'cursor kept in memory alone',
    edits: [
      {
        file: JOURNAL,
        text: '  lastLsn(table: string, binding: string): number {',
        instead:
          '  readonly here = { lsn: 0 };\n  lastLsn(table: string, binding: string): number {\n    if (binding) return this.here.lsn;',
      },
      { file: JOURNAL, text: '      if (lastLsn <= known) return;', instead: '      this.here.lsn = lastLsn;' },
    ],
  },
  {
    name: 'taken for sent when the answer is late',
    edits: [
      {
        file: STREAMER,
        text: "if (!(error instanceof StepError) || error.kind !== 'stream-refused') throw error;",
        instead:
          "if (error instanceof StepError && error.kind === 'deadline') {\n        streams.acknowledge(table.name, binding, { firstLsn, lastLsn });\n        return true;\n      }\n      if (!(error instanceof StepError) || error.kind !== 'stream-refused') throw error;",
      },
    ],
  },
];
