import { TABLES } from '../../schemas/index.ts';
import type { Names } from '../../src/sql/names.ts';

export const NAMES: Names = { bucket: 'data-ingestion', namespace: 'tributary', tables: TABLES };
