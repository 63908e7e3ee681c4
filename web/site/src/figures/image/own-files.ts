// Files of the reader's own in <diffem-posterior>: a picture, observations or a checkpoint, dropped, pasted or chosen.
// They are read here and sent nowhere.
import { kindOf } from '../../files/kind';
import { readObservations } from '../../files/observations';
import { readPicture } from '../../files/picture';
import type { PosteriorModel } from './model';

export interface OwnFilesHost {
  model: () => PosteriorModel | undefined;
  /** Loads the checkpoint anew. */
  reload: () => void;
  /** Shows what the model has chosen. */
  chosen: () => void;
  isVisible: () => boolean;
}

export class OwnFiles {
  /** Checkpoint of the reader's own, in place of that of the page. */
  checkpoint: File | undefined;
  /** Whether the picture is shown with black and white exchanged. */
  inverted = false;
  #picture: File | undefined;

  constructor(private readonly host: OwnFilesHost) {}

  get hasPicture(): boolean {
    return this.#picture !== undefined && this.host.model()?.own.length === 1;
  }

  get hasAny(): boolean {
    return Boolean(this.host.model()?.own.length) || this.checkpoint !== undefined;
  }

  readonly over = (event: Event): void => event.preventDefault();

  readonly dropped = (event: DragEvent): void => {
    event.preventDefault();
    const [file] = event.dataTransfer?.files ?? [];
    if (file) void this.bring(file);
  };

  readonly pasted = (event: ClipboardEvent): void => {
    const [file] = event.clipboardData?.files ?? [];
    if (file && this.host.isVisible()) void this.bring(file);
  };

  readonly chosen = (event: Event): void => {
    const input = event.target as HTMLInputElement;
    const [file] = input.files ?? [];
    input.value = '';
    if (file) void this.bring(file);
  };

  /** Takes a file; one of no use is said to be one, and the figure stays as it is. */
  async bring(file: File): Promise<void> {
    const model = this.host.model();
    if (!model?.posterior) return;
    try {
      const kind = await kindOf(file);
      if (kind === 'checkpoint') {
        this.checkpoint = file;
        this.host.reload();
      } else if (kind === 'observations') {
        const own = await readObservations(file, model.posterior.info);
        this.#picture = undefined;
        await model.bring(own);
        this.host.chosen();
      } else await this.#show(model, file);
    } catch (error) {
      model.fail(error);
    }
  }

  /** Exchanges black and white: a model knows bright things before a dark ground, or the other way round. */
  readonly invert = async (): Promise<void> => {
    this.inverted = !this.inverted;
    const model = this.host.model();
    if (model && this.#picture) await this.#show(model, this.#picture);
  };

  async #show(model: PosteriorModel, file: File): Promise<void> {
    const { x, known } = await readPicture(file, model.shape);
    const own = await model.observed(this.inverted ? x.map((v) => -v) : x, known);
    this.#picture = file;
    await model.bring([own]);
    this.host.chosen();
  }

  /** Goes back to the pictures of the checkpoint, or from a checkpoint of the reader's own to that of the page. */
  readonly leave = async (): Promise<void> => {
    const model = this.host.model();
    this.#picture = undefined;
    if (model?.own.length) {
      await model.bring([]);
      this.host.chosen();
    } else {
      this.checkpoint = undefined;
      this.host.reload();
    }
  };
}
