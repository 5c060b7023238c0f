/**
 * How deep JSON in a column may be nested. DuckDB ends its process on a column nested 120,000 deep, and no document of an
 * upstream is known to be nested 30 deep.
 */
export const JSON_DEPTH_MAX = 100;

/** Whether a text begins like JSON and has more brackets open at once than `depthMax`. It need not be valid JSON. */
export function isNestedTooDeep(text: string, depthMax = JSON_DEPTH_MAX): boolean {
  if (text.length <= depthMax || !/^\s*[[{]/.test(text)) return false;
  let depth = 0;
  let isText = false;
  for (let at = 0; at < text.length; at++) {
    const unit = text[at];
    if (isText) {
      if (unit === '\\') at += 1;
      else if (unit === '"') isText = false;
    } else if (unit === '"') isText = true;
    else if (unit === '[' || unit === '{') {
      depth += 1;
      if (depth > depthMax) return true;
    } else if (unit === ']' || unit === '}') depth -= 1;
  }
  return false;
}

/** What a column has in place of JSON that is nested too deep. */
export const TOO_DEEP = JSON.stringify({ reason: `nested over ${JSON_DEPTH_MAX} deep` });
