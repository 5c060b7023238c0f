import { TABLES, tableNamed } from '../../schemas/index.ts';
import { streamSchema } from '../../schemas/stream.ts';
import { runProgram } from './program.ts';

/**
 * The text of the schema file that a table's stream is created with; without a table's name, those of all tables by
 * name. Throws for an unknown table, and for more than one name.
 */
export function schemasText(args: string[]): string {
  if (args.length > 1) throw new Error(`schemas: expected the name of one table, got ${args.length}`);
  const [name] = args;
  const schemas =
    name === undefined
      ? Object.fromEntries(TABLES.map(table => [table.name, streamSchema(table)]))
      : streamSchema(tableNamed(name));
  return `${JSON.stringify(schemas, null, 2)}\n`;
}

if (import.meta.main) {
  await runProgram(async () => {
    process.stdout.write(schemasText(process.argv.slice(2)));
    return 0;
  });
}
