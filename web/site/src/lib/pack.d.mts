export interface Packed {
  scale: number;
  data: string;
}
export declare function pack(values: ArrayLike<number>): Packed;
export declare function unpack(packed: Packed): Float32Array;
