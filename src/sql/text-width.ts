const GRAPHEMES = new Intl.Segmenter('en', { granularity: 'grapheme' });
/** Characters that a terminal shows two cells wide. */
const WIDE =
  /^(?:\p{Emoji_Presentation}|\p{Script=Han}|\p{Script=Hiragana}|\p{Script=Katakana}|\p{Script=Hangul}|[\u3000-\u303f\uff01-\uff60])/u;

/** How many cells of a terminal a text without control characters takes. */
export function widthOf(text: string): number {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: most texts are ASCII, and then each character is one cell.
  if (/^[\x00-\x7f]*$/.test(text)) return text.length;
  let width = 0;
  for (const { segment } of GRAPHEMES.segment(text)) width += WIDE.test(segment) ? 2 : 1;
  return width;
}

/** The text, cut to at most `widthMax` cells of a terminal. A cut text ends with `…`. */
export function cutTo(text: string, widthMax: number): string {
  if (widthOf(text) <= widthMax) return text;
  let cut = '';
  for (const { segment } of GRAPHEMES.segment(text)) {
    if (widthOf(cut) + widthOf(segment) >= widthMax) break;
    cut += segment;
  }
  return `${cut}…`;
}
