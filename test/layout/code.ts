import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { isFunctionLikeDeclaration, type Node, type SourceFile, SyntaxKind } from 'typescript/unstable/ast';
import { API } from 'typescript/unstable/sync';

export const ROOT = path.resolve(import.meta.dirname, '../..');

export interface Import {
  /** A file of the repository, or a package or module of the runtime as it is written. */
  target: string;
  typeOnly: boolean;
}

/** What the layout test knows of one file of code. */
export interface ParsedFile {
  imports: Import[];
  identifiers: string[];
  literals: string[];
  functions: { line: number; lines: number }[];
  /** Lines on which a literal is spread: `...{ a, b }`, `...[x, y]`. */
  spreads: number[];
}

/** Every file of the repository that git does not ignore, as paths from the root. */
export function listFiles(): string[] {
  const options = ['--cached', '--others', '--exclude-standard', '-z'];
  try {
    const out = execFileSync('git', ['ls-files', ...options], {
      cwd: ROOT,
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    const listed = out.split('\0').filter(file => file !== '' && existsSync(path.join(ROOT, file)));
    if (listed.length > 0) return listed;
  } catch {
    // Without git's history (an unpacked archive) read the folder itself.
  }
  const generated =
    /(^|\/)(node_modules|\.git|\.wrangler|\.tributary)(\/|$)|worker-configuration\.d\.ts$|^\.ci\/report\.json$/;
  return readdirSync(ROOT, { recursive: true, withFileTypes: true })
    .filter(entry => entry.isFile())
    .map(entry => path.relative(ROOT, path.join(entry.parentPath, entry.name)))
    .filter(file => !generated.test(file));
}

/** A file's text; null when it is binary. */
export function readText(file: string): string | null {
  const bytes = readFileSync(path.join(ROOT, file));
  return bytes.subarray(0, 8_000).includes(0) ? null : bytes.toString('utf8');
}

/** Parses files of the TypeScript project with TypeScript's own parser. */
export function parse(names: string[]): Map<string, ParsedFile> {
  const api = new API({ cwd: ROOT });
  try {
    const snapshot = api.updateSnapshot({ openProjects: [path.join(ROOT, 'tsconfig.json')] });
    const [project] = snapshot.getProjects();
    return new Map(
      names.map(name => {
        const source = project?.program.getSourceFile(path.join(ROOT, name));
        if (source === undefined) throw new Error(`${name}: expected a file of the TypeScript project, got none`);
        return [name, readSource(name, source)];
      }),
    );
  } finally {
    api.close();
  }
}

function readSource(file: string, source: SourceFile): ParsedFile {
  const read: ParsedFile = { imports: [], identifiers: [], literals: [], functions: [], spreads: [] };
  const lineAt = (position: number) => source.text.slice(0, position).split('\n').length;
  const visit = (node: Node): void => {
    const found = importOf(node);
    if (found !== null) read.imports.push({ ...found, target: targetOf(file, found.target) });
    if (node.kind === SyntaxKind.Identifier) read.identifiers.push((node as unknown as { text: string }).text);
    if (isLiteral(node)) read.literals.push(node.getText(source));
    if (isSpreadLiteral(node)) read.spreads.push(lineAt(node.getStart(source)));
    if (isFunctionLikeDeclaration(node) && 'body' in node && node.body !== undefined) {
      const line = lineAt(node.getStart(source));
      read.functions.push({ line, lines: lineAt(node.end) - line + 1 });
    }
    node.forEachChild(visit);
  };
  visit(source);
  return read;
}

interface ImportNode extends Node {
  moduleSpecifier?: { text: string };
  importClause?: { phaseModifier?: SyntaxKind; name?: Node; namedBindings?: { elements?: { isTypeOnly: boolean }[] } };
  isTypeOnly?: boolean;
  expression?: Node;
  arguments?: { text?: string }[];
  argument?: { literal?: { text: string } };
}

function importOf(node: Node): Import | null {
  const { moduleSpecifier, importClause, isTypeOnly, expression, arguments: given, argument } = node as ImportNode;
  switch (node.kind) {
    case SyntaxKind.ImportDeclaration: {
      const elements = importClause?.namedBindings?.elements;
      const onlyTypes = elements !== undefined && elements.length > 0 && elements.every(element => element.isTypeOnly);
      const typeOnly =
        importClause?.phaseModifier === SyntaxKind.TypeKeyword || (importClause?.name === undefined && onlyTypes);
      return { target: moduleSpecifier?.text ?? '', typeOnly };
    }
    case SyntaxKind.ExportDeclaration:
      return moduleSpecifier === undefined ? null : { target: moduleSpecifier.text, typeOnly: isTypeOnly === true };
    case SyntaxKind.ImportType:
      return { target: argument?.literal?.text ?? '', typeOnly: true };
    case SyntaxKind.CallExpression:
      return expression?.kind === SyntaxKind.ImportKeyword ? { target: given?.[0]?.text ?? '', typeOnly: false } : null;
    default:
      return null;
  }
}

function isLiteral({ kind }: Node): boolean {
  return [SyntaxKind.StringLiteral, SyntaxKind.NoSubstitutionTemplateLiteral, SyntaxKind.TemplateExpression].includes(
    kind,
  );
}

/** `...{ a, b }` or `...[x, y]`: a literal that could be written out where it is. */
function isSpreadLiteral(node: Node): boolean {
  if (node.kind !== SyntaxKind.SpreadAssignment && node.kind !== SyntaxKind.SpreadElement) return false;
  const { expression } = node as ImportNode;
  return (
    expression?.kind === SyntaxKind.ObjectLiteralExpression || expression?.kind === SyntaxKind.ArrayLiteralExpression
  );
}

/** A relative import as a file of the repository; any other as it is. */
function targetOf(file: string, specifier: string): string {
  return specifier.startsWith('.') ? path.posix.join(path.posix.dirname(file), specifier) : specifier;
}
