import { getMetricsFromIterator, type PromData, type PromHistogramData } from 'prom2javascript';

/** A family as the parser gives it: samples of a counter or a gauge, or whole histograms. */
export interface ParsedFamily {
  type: string;
  help: string;
  data: (PromData | PromHistogramData)[];
}

/** Reads the text with an independent parser. */
export async function parse(text: string): Promise<Record<string, ParsedFamily>> {
  return (await getMetricsFromIterator(text.split('\n').values())) as Record<string, ParsedFamily>;
}

/** The value of the sample of a family that has these labels; undefined without such a sample. Throws for several. */
export function sampleOf(
  families: Record<string, ParsedFamily>,
  name: string,
  labels: Record<string, string>,
): number | undefined {
  const found = (families[name]?.data ?? []).filter(sample =>
    Object.entries(labels).every(([label, value]) => sample.labels[label] === value),
  );
  if (found.length > 1)
    throw new Error(`${name}: expected one sample with ${JSON.stringify(labels)}, got ${found.length}`);
  return (found[0] as PromData | undefined)?.value;
}
