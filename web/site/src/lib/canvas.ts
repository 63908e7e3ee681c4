// A canvas that shows a square of the plane, with y pointing upwards, and that is sharp on every screen.

export interface Point {
  x: number;
  y: number;
}

export class Plane {
  readonly context: CanvasRenderingContext2D;
  width = 1;
  height = 1;

  /** The shorter side of the canvas shows [-reach, reach]. */
  constructor(
    readonly canvas: HTMLCanvasElement,
    public reach: number,
  ) {
    const context = canvas.getContext('2d');
    if (!context) throw new Error('this browser offers no 2-D canvas');
    this.context = context;
  }

  /**
   * Adopts the size that the page gives the canvas, clears it and returns its context, which counts in CSS
   * pixels.
   */
  begin(): CanvasRenderingContext2D {
    const ratio = Math.min(devicePixelRatio || 1, 3);
    this.width = this.canvas.clientWidth || 1;
    this.height = this.canvas.clientHeight || 1;
    const [w, h] = [Math.round(this.width * ratio), Math.round(this.height * ratio)];
    if (this.canvas.width !== w || this.canvas.height !== h) Object.assign(this.canvas, { width: w, height: h });
    this.context.setTransform(ratio, 0, 0, ratio, 0, 0);
    this.context.clearRect(0, 0, this.width, this.height);
    this.context.globalAlpha = 1;
    return this.context;
  }

  /** CSS pixels per unit of the plane. */
  get scale(): number {
    return Math.min(this.width, this.height) / (2 * this.reach);
  }

  toPixel(x: number, y: number): [number, number] {
    return [this.width / 2 + x * this.scale, this.height / 2 - y * this.scale];
  }

  toPlane(event: { clientX: number; clientY: number }): Point {
    const box = this.canvas.getBoundingClientRect();
    const px = event.clientX - box.left;
    const py = event.clientY - box.top;
    return { x: (px - this.width / 2) / this.scale, y: (this.height / 2 - py) / this.scale };
  }

  /** Draws points [n, d], projected onto the two coordinates of `pair`, as dots of `size` pixels. */
  dots(points: Float32Array, d: number, pair: readonly [number, number], color: string, size: number, alpha = 1): void {
    const g = this.context;
    g.globalAlpha = alpha;
    g.fillStyle = color;
    const half = size / 2;
    for (let at = 0; at + d <= points.length; at += d) {
      const [px, py] = this.toPixel(points[at + pair[0]] ?? 0, points[at + pair[1]] ?? 0);
      g.fillRect(px - half, py - half, size, size);
    }
    g.globalAlpha = 1;
  }

  /** Two points in pixels between which the line {p : a · p = y} crosses the canvas. */
  ends(a: Point, y: number): [[number, number], [number, number]] {
    const far = 4 * this.reach;
    const norm = Math.hypot(a.x, a.y) || 1;
    const foot = { x: (a.x * y) / (norm * norm), y: (a.y * y) / (norm * norm) };
    const along = { x: (-a.y / norm) * far, y: (a.x / norm) * far };
    return [this.toPixel(foot.x - along.x, foot.y - along.y), this.toPixel(foot.x + along.x, foot.y + along.y)];
  }

  /** Strokes the line {p : a · p = y}. */
  strokeLine(a: Point, y: number, color: string, width: number, alpha = 1): void {
    const g = this.context;
    g.globalAlpha = alpha;
    g.strokeStyle = color;
    g.lineWidth = width;
    const [from, to] = this.ends(a, y);
    g.beginPath();
    g.moveTo(...from);
    g.lineTo(...to);
    g.stroke();
    g.globalAlpha = 1;
  }
}
