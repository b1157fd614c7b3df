/** What has been decided about one word of `model.moe.router`. */
interface RouterDecision {
  /** A launch runs it; else the file may say it and the plan shows it, and a launch refuses it by name. */
  readonly built: boolean;
  /** Mixtral, OLMoE and Qwen3-MoE of Hugging Face can say it, so that a model that uses it can be exported as one. */
  readonly exported: boolean;
}

/**
 * Every router that there is, by the setting that names it; the first word of a setting is its default. The keys of the topology file,
 * the types of a config, what a launch refuses and what an export refuses come from here.
 */
const routers = {
  /** Who chooses: each token its experts, or each expert its tokens. */
  kind: {
    'token-choice': { built: true, exported: true },
    'expert-choice': { built: true, exported: false },
  },
  /** How logits become scores. */
  scores: {
    softmax: { built: true, exported: true },
    sigmoid: { built: true, exported: false },
  },
  /** Learned, or a forced pattern for speed runs and tests. */
  choice: {
    learned: { built: true, exported: true },
    balanced: { built: true, exported: false },
    skewed: { built: true, exported: false },
  },
  /** Which choice of a token is drawn with Gumbel noise in training: none, the second of two, or the only one. */
  sampling: {
    none: { built: true, exported: true },
    second: { built: true, exported: false },
    first: { built: true, exported: false },
  },
  /** How experts that choose do so in generation, where there is no group: by thresholds that training averages; or not at all. */
  generate: {
    thresholds: { built: true, exported: true },
    refuse: { built: true, exported: true },
  },
} as const satisfies Readonly<Record<string, Readonly<Record<string, RouterDecision>>>>;

export type RouterSetting = keyof typeof routers;
export type RouterName<Setting extends RouterSetting> = keyof (typeof routers)[Setting] & string;

/** The words of a setting, those alone of which a decision holds; never empty, the default first. */
export function routerNames<Setting extends RouterSetting>(
  setting: Setting,
  holds?: keyof RouterDecision,
): readonly [RouterName<Setting>, ...RouterName<Setting>[]] {
  const decisions: Readonly<Record<string, RouterDecision>> = routers[setting];
  const names = Object.keys(decisions).filter((name) => holds === undefined || decisions[name]?.[holds]);
  return names as [RouterName<Setting>, ...RouterName<Setting>[]];
}

/** Who chooses whom, and how logits become scores. */
export interface RouterConfig {
  readonly kind: RouterName<'kind'>;
  readonly scores: RouterName<'scores'>;
  /** Equal runs of experts, of which a token chooses `topGroups` before it chooses experts of them (arXiv:2412.19437, §2.1.2); 1: no groups. */
  readonly groups: number;
  readonly topGroups: number;
  /** Factor of the combine weights. */
  readonly scale: number;
  /** Under expert choice: consecutive sequences whose tokens at one position an expert chooses from (arXiv:2402.07871, §3.1). */
  readonly groupSequences: number;
  /** Under expert choice: whether training keeps thresholds, by which experts choose in generation. */
  readonly generate: RouterName<'generate'>;
  readonly sampling: RouterName<'sampling'>;
  /** In training the router's input is multiplied by numbers of 1 ± this; 0: it is not. */
  readonly jitter: number;
}

/** The router of a file that names none. */
export const defaultRouter: RouterConfig = {
  kind: routerNames('kind')[0],
  scores: routerNames('scores')[0],
  groups: 1,
  topGroups: 1,
  scale: 1,
  groupSequences: 256,
  generate: 'refuse',
  sampling: routerNames('sampling')[0],
  jitter: 0,
};
