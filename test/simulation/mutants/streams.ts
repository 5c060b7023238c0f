import { type Mutant, STREAM_SCENARIO, STREAMED } from './mutant.ts';

const STREAMER = 'src/engine/publish/streams.ts';
const JOURNAL = 'src/engine/journal/streams.ts';

/** Mutants of the step that sends rows to streams. */
export const STREAM_MUTANTS: Mutant[] = [
  {
    name: 'rows acknowledged before they are sent',
    breaks: STREAMED,
    caughtBy: STREAM_SCENARIO,
    edits: [
      {
        file: STREAMER,
        text: '    try {\n      const sent = ',
        instead: '    streams.acknowledge(table.name, binding, { firstLsn, lastLsn });\n    try {\n      const sent = ',
      },
    ],
  },
  {
    name: 'rows acknowledged that were not sent',
    breaks: STREAMED,
    caughtBy: STREAM_SCENARIO,
    edits: [
      {
        file: STREAMER,
        text: 'streams.acknowledge(table.name, binding, { firstLsn, lastLsn });',
        instead: 'streams.acknowledge(table.name, binding, { firstLsn, lastLsn: lastLsn + 1 });',
      },
    ],
  },
  {
    name: 'refused row skipped',
    breaks: STREAMED,
    caughtBy: STREAM_SCENARIO,
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
    name: 'rows after a refused half skipped',
    breaks: STREAMED,
    caughtBy: STREAM_SCENARIO,
    edits: [{ file: STREAMER, text: 'left = left.slice(some.length);', instead: 'left = [];' }],
  },
  {
    name: 'rows sent in file order',
    breaks: STREAMED,
    caughtBy: STREAM_SCENARIO,
    edits: [{ file: 'src/parquet/read.ts', text: '  return sorted;', instead: '  return rows;' }],
  },
  {
    name: 'acknowledged LSN only in memory',
    breaks: STREAMED,
    caughtBy: STREAM_SCENARIO,
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
    name: 'rows acknowledged when the answer is late',
    breaks: STREAMED,
    caughtBy: STREAM_SCENARIO,
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
