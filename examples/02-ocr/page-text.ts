/** The text of page.png, row by row, and how each row is set: what render-page.ts draws and what the reader must find. */

/** One row of the page: its cells from left to right, each with the x of its left edge, on one baseline. */
export interface PageRow {
  /** Baseline from the top, in pixels of the unrotated page. */
  readonly y: number;
  /** Font size in pixels. */
  readonly size: number;
  readonly family: "serif" | "sans";
  readonly bold?: boolean;
  readonly cells: readonly { readonly x: number; readonly text: string }[];
}

export const PAGE_WIDTH = 960;
export const PAGE_HEIGHT = 680;

const COLUMNS = [70, 330, 520, 710] as const;

function tableRow(y: number, texts: readonly [string, string, string, string], bold = false): PageRow {
  return {
    y,
    size: 24,
    family: "sans",
    bold,
    cells: texts.map((text, column) => ({ x: COLUMNS[column]!, text })),
  };
}

export const PAGE_ROWS: readonly PageRow[] = [
  { y: 90, size: 44, family: "serif", bold: true, cells: [{ x: 70, text: "Tide Table for the Bay" }] },
  {
    y: 140,
    size: 22,
    family: "serif",
    cells: [{ x: 70, text: "Thursday, 14 May 2026. Heights are in metres above chart datum." }],
  },
  tableRow(220, ["Harbour", "High water", "Height", "Low water"], true),
  tableRow(270, ["Saint-Malo", "05:42", "11.86", "12:31"]),
  tableRow(320, ["Granville", "05:58", "12.40", "12:49"]),
  tableRow(370, ["Cherbourg", "07:21", "6.15", "14:03"]),
  tableRow(420, ["Le Havre", "09:04", "7.73", "16:27"]),
  {
    y: 500,
    size: 26,
    family: "serif",
    cells: [{ x: 70, text: "Add one hour to every time while summer time is in force." }],
  },
  {
    y: 545,
    size: 26,
    family: "serif",
    cells: [{ x: 70, text: "Strong easterly winds may lower the sea by up to 30%." }],
  },
  { y: 615, size: 18, family: "sans", cells: [{ x: 70, text: "Questions? Write to harbour@example.org" }] },
];
