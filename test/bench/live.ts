import { inflateRawSync } from 'node:zlib';
import { npmPackage } from '../../schemas/npm_package.ts';
import { RowBuffer } from '../../src/engine/flush/row-buffer.ts';
import { JournalFiles } from '../../src/engine/journal/files.ts';
import { openDataFile } from '../../src/parquet/encode.ts';
import { readFooter } from '../../src/parquet/footer.ts';
import { openRows } from '../../src/parquet/read.ts';
import type { EncodePort } from '../../src/ports/data-file.ts';
import { nodeSql } from '../simulation/world/node-sql.ts';

/** Makes the first data file of a journal in a Node whose heap has a limit: what it ends with was enough. */
const [file = ''] = process.argv.slice(2);
const collect = globalThis.gc!;
const encode: EncodePort = {
  open: openDataFile,
  footer: readFooter,
  reader: openRows,
  pack: () => new Uint8Array(),
  unpack: bytes => inflateRawSync(bytes).toString(),
};
const sql = nodeSql(file);
const files = new JournalFiles(sql, encode);
const buffer = new RowBuffer({ table: npmPackage, source: 'npm', files, encode });
collect();
const idle = process.memoryUsage();
while (buffer.readNext());
const rows = buffer.range!.lastLsn;
const chunks = buffer.finish();
collect();
const { arrayBuffers } = process.memoryUsage();
process.stdout.write(
  JSON.stringify({
    idle: idle.heapUsed,
    backing: arrayBuffers - idle.arrayBuffers,
    rows,
    bytes: chunks.reduce((sum, chunk) => sum + chunk.length, 0),
  }),
);
sql.close();
