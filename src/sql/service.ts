import { parseExactJson } from '../exact-json.ts';
import { indexOfPosition, type Position } from './sql-error.ts';
import { nameValue, type Token } from './tokens.ts';

// The HTTP API of R2 SQL (Basin SQL), which the worker calls and the local service implements.

/** An answer of the service. `schema` has the columns in order; a row is an object by column name. */
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

/** An answer of the service in the form that the worker returns. A value that the service did not give is null. */
export interface ServiceAnswer {
  columns: { name: string; type: string | null }[];
  rows: Record<string, unknown>[];
  metrics: { requests: number | null; files_scanned: number | null; bytes_scanned: number | null };
}

/** An error of the service; `code` is null when the service gave none. */
export interface ServiceFailure {
  code: number | null;
  message: string;
}

/** Reads an answer of the service. Null for a text that is not JSON or has another shape. */
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

/** Whether the service answered with an error. */
export function isFailure(answer: ServiceAnswer | ServiceFailure): answer is ServiceFailure {
  return 'message' in answer;
}

const POSITION = / at Line: (\d+), Column: (\d+)/;

/** Adds a position to a message, as the service does. */
export function withPosition(message: string, { line, column }: Position): string {
  return `${message} at Line: ${line}, Column: ${column}`;
}

/**
 * Reads the position from a message of the service: the index in the query, and the message without the position.
 * Without a position in the message it is the index where the query first names the unknown column; null when there is
 * neither.
 */
export function readPosition(message: string, query: string, tokens: Token[]): { message: string; at: number | null } {
  const [text, line, column] = POSITION.exec(message) ?? [];
  if (text !== undefined) {
    const at = indexOfPosition(query, { line: Number(line), column: Number(column) });
    return { message: message.replace(text, ''), at };
  }
  const unknown = /No field named ("?[\w."]+)/.exec(message)?.[1]?.replaceAll('"', '').split('.').at(-1);
  const token = unknown === undefined ? undefined : tokens.find(candidate => nameValue(candidate) === unknown);
  return { message, at: token?.at ?? null };
}

/**
 * Parses JSON. A whole number past 2^53 becomes text, as in every answer of the API. Null for a text that is not JSON.
 */
function parsed(text: string): unknown {
  try {
    return parseExactJson(text, String);
  } catch {
    return null;
  }
}
