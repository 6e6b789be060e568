/** The tabular classifiers: their names for things, and rows whose class is known. */

interface Classifier {
  readonly file: string;
  readonly input: string;
  readonly label: string;
  readonly scores: string;
  /** Each is one run: rows of features, and the class of each row. */
  readonly runs: readonly {
    readonly rows: readonly (readonly number[])[];
    readonly classes: readonly bigint[];
  }[];
}

/** Irises by sepal length and width (and petal length and width): 0 setosa, 1 versicolor, 2 virginica. */
export const CLASSIFIERS: readonly Classifier[] = [
  {
    file: "tabular/randomforest.onnx",
    input: "float_input",
    label: "output_label",
    scores: "output_probability",
    runs: [
      { rows: [[5.1, 3.5, 1.4, 0.2]], classes: [0n] },
      { rows: [[7.0, 3.2, 4.7, 1.4]], classes: [1n] },
      { rows: [[6.3, 3.3, 6.0, 2.5]], classes: [2n] },
    ],
  },
  {
    file: "tabular/lightgbm.onnx",
    input: "input",
    label: "label",
    scores: "probabilities",
    runs: [
      { rows: [[5.8, 2.8]], classes: [1n] },
      { rows: [[5.5, 4.2]], classes: [0n] },
      { rows: [[7.3, 2.9]], classes: [2n] },
    ],
  },
  {
    file: "tabular/logreg_iris.onnx",
    input: "float_input",
    label: "label",
    scores: "probabilities",
    // This model ranks no real iris well; these points lie far inside its three regions.
    runs: [
      {
        rows: [
          [-1, -2],
          [0, 5],
          [5, 0],
        ],
        classes: [1n, 0n, 2n],
      },
    ],
  },
];
