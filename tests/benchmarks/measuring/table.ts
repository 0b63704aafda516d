import type { Row } from '../benchmark.ts';
import type { Estimate, Spread } from './spread.ts';

type Cell = Row[string];

const THOUSAND = 1_000;
const HUNDRED = 100;

/** Writes rows as a table in Markdown, which a terminal shows as well. */
export function formatTable(rows: readonly Row[]): string {
  const names = Object.keys(rows[0] ?? {});
  const lines = [names.map(toWords), ...rows.map((row) => names.map((name) => show(row[name])))];
  const widths = names.map((_, column) => {
    return Math.max(...lines.map((cells) => (cells[column] ?? '').length));
  });
  const toLine = (cells: readonly string[]) =>
    `| ${cells.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join(' | ')} |`;
  const [head = [], ...body] = lines;
  return [toLine(head), toLine(widths.map((width) => '-'.repeat(width))), ...body.map(toLine)].join(
    '\n',
  );
}

/** `cpuSecondsPer1000Deliveries` becomes `cpu seconds per 1000 deliveries`. */
function toWords(name: string): string {
  return name
    .replace('Per1000', ' per 1000')
    .replaceAll(/[A-Z]/g, (start) => ` ${start.toLowerCase()}`);
}

function show(cell: Cell | undefined): string {
  if (cell === undefined) return '';
  if (typeof cell === 'string') return cell;
  if (typeof cell === 'number') return showNumber(cell);
  return 'median' in cell ? showSpread(cell) : showEstimate(cell);
}

/** The median, and between which values the rounds lay. */
function showSpread({ median, min, max }: Spread): string {
  if (min === max || Number.isNaN(median)) return showNumber(median);
  return `${showNumber(median)} (${showNumber(min)} to ${showNumber(max)})`;
}

/** The figure, and between what it lies but for luck. */
function showEstimate({ value, from, to }: Estimate): string {
  if (Number.isNaN(value)) return showNumber(value);
  return `${showNumber(value)} (95 %: ${showNumber(from)} to ${showNumber(to)})`;
}

/** As many digits as say something. */
function showNumber(value: number): string {
  if (Number.isNaN(value)) return '-';
  if (Number.isInteger(value) || value >= THOUSAND) return Math.round(value).toLocaleString('en');
  if (value >= HUNDRED) return value.toFixed(0);
  return value >= 1 ? value.toFixed(2) : value.toPrecision(3);
}
