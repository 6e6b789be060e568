/** A Kubernetes Indexed Job whose pods each score a part of the shards. */
import { TenonError } from "../base/index.js";
import { EXIT } from "./exit-codes.js";
import { packageVersion } from "./version.js";

/** Pods where `--shard 0/N` does not say how many. */
const DEFAULT_PODS = 4;

/**
 * The manifest as YAML. `args` are those of `tenon score`, without the verb; `shard` is its `--shard 0/N`, of which N is
 * the number of pods. Every pod gets its index from `JOB_COMPLETION_INDEX`. Wrong arguments and another plan end the job,
 * bad data ends its index only, a pod that was moved away does not count.
 */
export function indexedJob(args: readonly string[], shard: string | undefined): string {
  const pods = podsOf(shard);
  const passed = withoutOptions(args, ["--emit", "--shard"]);
  const shown = ["score", ...passed, "--shard", `$(JOB_COMPLETION_INDEX)/${pods}`];
  return `apiVersion: batch/v1
kind: Job
metadata:
  name: tenon-score
spec:
  completionMode: Indexed
  completions: ${pods}
  parallelism: ${pods}
  backoffLimitPerIndex: 3
  podReplacementPolicy: Failed
  podFailurePolicy:
    rules:
      - action: FailJob
        onExitCodes: { containerName: score, operator: In, values: [${EXIT.usage}, ${EXIT.mismatch}] }
      - action: FailIndex
        onExitCodes: { containerName: score, operator: In, values: [${EXIT.data}] }
      - action: Ignore
        onPodConditions: [{ type: DisruptionTarget }]
  template:
    spec:
      restartPolicy: Never
      securityContext: { runAsNonRoot: true, runAsUser: 1000, fsGroup: 1000 }
      containers:
        - name: score
          image: tenon:${packageVersion()}
          command: [tenon]
          args: ${JSON.stringify(shown)}
          workingDir: /data
          env: [{ name: TENON_CACHE, value: "/tmp/tenon" }]
          securityContext: { readOnlyRootFilesystem: true, allowPrivilegeEscalation: false }
          volumeMounts:
            - { name: data, mountPath: /data }
            - { name: tmp, mountPath: /tmp }
      volumes:
        - name: data
          persistentVolumeClaim: { claimName: tenon-data }
        - { name: tmp, emptyDir: {} }`;
}

function podsOf(shard: string | undefined): number {
  if (shard === undefined) return DEFAULT_PODS;
  const pods = Number(/^\d+\/([1-9]\d{0,4})$/.exec(shard)?.[1]);
  if (pods >= 1) return pods;
  throw new TenonError("USAGE", { problem: "--shard", given: shard, expected: "0/N, with N pods" });
}

/** Arguments without the named options and their values. */
function withoutOptions(args: readonly string[], names: readonly string[]): string[] {
  const left: string[] = [];
  for (let i = 0; i < args.length; i++) {
    if (names.includes(args[i]!)) i++;
    else if (!names.some((name) => args[i]!.startsWith(`${name}=`))) left.push(args[i]!);
  }
  return left;
}
