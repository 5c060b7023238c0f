import { parseExactJson } from '../exact-json.ts';
import { indexOfPlace, type Place } from './sql-error.ts';
import { nameValue, type Token } from './tokens.ts';

// The HTTP API of R2 SQL (Basin SQL), as the worker asks it and the local service answers it.

/** What the service answers. `schema` has the columns in order; rows are objects by column name. */
export interface ServiceBody {
  success: boolean;
  errors: { code: number; message: string }[];
  messages: string[];
  result: {
    request_id: string;
    schema: { name: string; descriptor: { type: { name: string }; nullable: boolean } }[];
    rows: Record<string, unknown>[];
    metrics: { r2_requests_count: number; files_scanned: number; bytes_scanned: number };
  } | null;
}

/** An answer of the service as the worker gives it on; what the service did not say is null. */
export interface ServiceAnswer {
  columns: { name: string; type: string | null }[];
  rows: Record<string, unknown>[];
  metrics: { requests: number | null; files_scanned: number | null; bytes_scanned: number | null };
}

/** What the service found wrong; `code` null where it gave none. */
export interface ServiceFailure {
  code: number | null;
  message: string;
}

/** Reads an answer of the service. Null when it is none of its own: no JSON, or another shape. */
export function readServiceBody(text: string): ServiceAnswer | ServiceFailure | null {
  const body = parsed(text) as Partial<ServiceBody> | null;
  if (typeof body !== 'object' || body === null) return null;
  const { success, errors, result } = body;
  if (success !== true) {
    const [first] = Array.isArray(errors) ? errors : [];
    if (typeof first?.message !== 'string') return null;
    return { code: typeof first.code === 'number' ? first.code : null, message: first.message };
  }
  if (!Array.isArray(result?.rows)) return null;
  const { rows, metrics } = result;
  const schema = Array.isArray(result.schema) ? result.schema : [];
  const number = (value: unknown) => (typeof value === 'number' ? value : null);
  return {
    columns: schema.map(column => ({ name: String(column.name), type: column.descriptor?.type?.name ?? null })),
    rows,
    metrics: {
      requests: number(metrics?.r2_requests_count),
      files_scanned: number(metrics?.files_scanned),
      bytes_scanned: number(metrics?.bytes_scanned),
    },
  };
}

/** Whether the service refused or failed. */
export function isFailure(found: ServiceAnswer | ServiceFailure): found is ServiceFailure {
  return 'message' in found;
}

const PLACE = / at Line: (\d+), Column: (\d+)/;

/** A message with the place it is about, in the words of the service. */
export function withPlace(message: string, { line, column }: Place): string {
  return `${message} at Line: ${line}, Column: ${column}`;
}

/**
 * Where in a query a message of the service points, and the message without it: the place it names, else the first
 * place of the column it does not know. Null where it points nowhere.
 */
export function readPlace(message: string, query: string, tokens: Token[]): { message: string; at: number | null } {
  const [text, line, column] = PLACE.exec(message) ?? [];
  if (text !== undefined) {
    const at = indexOfPlace(query, { line: Number(line), column: Number(column) });
    return { message: message.replace(text, ''), at };
  }
  const unknown = /No field named ("?[\w."]+)/.exec(message)?.[1]?.replaceAll('"', '').split('.').at(-1);
  const token = unknown === undefined ? undefined : tokens.find(candidate => nameValue(candidate) === unknown);
  return { message, at: token?.at ?? null };
}

/** The JSON of an answer, null where it is none. A whole number past 2^53 is text, as in every answer of the API. */
function parsed(text: string): unknown {
  try {
    return parseExactJson(text, String);
  } catch {
    return null;
  }
}
