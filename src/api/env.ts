import type { Table } from '../../schemas/table.ts';
import type { CatalogStub, SourceStub } from '../contract/objects.ts';
import type { LogPort } from '../ports/platform.ts';
import type { Source } from '../sources/source.ts';

/** The bindings of the worker that the API uses. Its other properties are settings. */
export interface ApiEnv {
  SOURCES_NS: { getByName(id: string): SourceStub };
  CATALOG_NS: { getByName(name: string): CatalogStub };
}

/** The registries that the API answers from, and its log. */
export interface Known {
  sources: readonly Pick<Source, 'id' | 'tables' | 'agenda' | 'settings'>[];
  tables: readonly Table[];
  log: LogPort;
}

/** The parts of a request that handlers read. */
export interface ApiRequest {
  headers: Headers;
  query: Record<string, unknown>;
  body: ReadableStream<Uint8Array> | null;
}

/** One request to a route. */
export interface ApiCall {
  env: ApiEnv;
  known: Known;
  request: ApiRequest;
  /** A parameter of the path, decoded; empty when it cannot be decoded. */
  param(name: string): string;
}

/** Answers one request. Throws `ApiError`. */
export type Handler = (call: ApiCall) => Promise<Response>;
