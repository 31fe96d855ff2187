package agentr;

import java.io.BufferedInputStream;
import java.io.BufferedOutputStream;
import java.io.DataInputStream;
import java.io.DataOutputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.LinkedBlockingQueue;
import scienceworld.goldagent.RunHistory;
import scienceworld.runtime.pythonapi.PythonInterface;

/**
 * One ScienceWorld game, asked through standard input and output.
 *
 * <p>A request is a method and its arguments, a line each; a reply is a byte, 0 or 1 for a failure, and a text. Both in
 * UTF-8 behind their length in bytes (four bytes, big endian). When the input ends, so does this process, at once.
 */
public final class Main {
    private final PythonInterface game = new PythonInterface();
    private final Snapshots snapshots;

    private Main(int capacity) {
        Snapshots made = null;
        try {
            made = new Snapshots(game, capacity);
        } catch (ReflectiveOperationException | RuntimeException | LinkageError error) {
            // This Java, or this version of the simulator, does not let it: states are not kept.
        }
        snapshots = made;
    }

    public static void main(String[] arguments) throws IOException, InterruptedException {
        DataOutputStream replies = new DataOutputStream(new BufferedOutputStream(System.out));
        System.setOut(nowhere()); // the simulator writes pages about every step
        System.setErr(nowhere());
        Main main = new Main(Integer.parseInt(arguments[0]));
        final BlockingQueue<String> requests = new LinkedBlockingQueue<>();
        Thread reader = new Thread(() -> read(requests));
        reader.setDaemon(true);
        reader.start();
        while (true) {
            String[] request = requests.take().split("\n", -1);
            boolean failed = false;
            String answer;
            try {
                answer = main.answer(request);
            } catch (Throwable error) {
                failed = true;
                answer = String.valueOf(error.getCause() != null ? error.getCause() : error);
            }
            byte[] text = answer.getBytes(StandardCharsets.UTF_8);
            replies.writeInt(text.length);
            replies.writeByte(failed ? 1 : 0);
            replies.write(text);
            replies.flush();
        }
    }

    /** A thread of its own, so that the end of the input is met also while a long step runs. */
    private static void read(BlockingQueue<String> requests) {
        try {
            DataInputStream input = new DataInputStream(new BufferedInputStream(System.in));
            while (true) {
                byte[] text = new byte[input.readInt()];
                input.readFully(text);
                requests.add(new String(text, StandardCharsets.UTF_8));
            }
        } catch (IOException end) {
            Runtime.getRuntime().halt(0);
        }
    }

    private String answer(String[] request) throws ReflectiveOperationException {
        switch (request[0]) {
            case "keeps":
                return String.valueOf(snapshots != null);
            case "variations":
                return String.valueOf(game.getTaskMaxVariations(request[1]));
            case "simplifications":
                return game.getPossibleSimplifications();
            case "load":
                return String.valueOf(
                    game.load(request[1], Integer.parseInt(request[2]), request[3], Boolean.parseBoolean(request[4])));
            case "description":
                return game.getTaskDescription();
            case "gold":
                return String.join("\n", game.getGoldActionSequence());
            case "step":
                String observation = game.step(request[1]);
                forget(game.currentHistory());
                return game.getScore() + "\n" + game.getCompleted() + "\n" + observation;
            case "look":
                return ask("freeActionLook");
            case "inventory":
                return ask("freeActionInventory");
            case "valid":
                return ask("getValidActionObjectCombinations");
            case "take":
                return String.valueOf(snapshots.take());
            case "restore":
                return String.valueOf(snapshots.restore(Integer.parseInt(request[1])));
            case "drop":
                snapshots.drop(Integer.parseInt(request[1]));
                return "";
            case "clear":
                snapshots.clear();
                return "";
            case "digest":
                return snapshots.digest();
            default:
                throw new IllegalArgumentException("unknown request");
        }
    }

    /**
     * What a method without arguments answers, a list as lines. Such a question takes no time in the game, but it is
     * logged like an action: so the state is kept before, and taken up after it.
     */
    @SuppressWarnings("unchecked")
    private String ask(String method) throws ReflectiveOperationException {
        Snapshots.State before = snapshots != null ? snapshots.present() : null;
        try {
            Object answer = game.getClass().getMethod(method).invoke(game);
            return answer instanceof List ? String.join("\n", (List<String>) answer) : String.valueOf(answer);
        } finally {
            if (before != null) {
                snapshots.takeUp(before);
            }
        }
    }

    /** The simulator logs every step with all that was seen then, for nobody here, and for as long as it runs. */
    private static void forget(RunHistory history) {
        history.historyActions().clear();
        history.historyObservations().clear();
        history.historyFreeLook().clear();
        history.historyInventory().clear();
    }

    private static PrintStream nowhere() {
        return new PrintStream(new OutputStream() {
            @Override
            public void write(int letter) {
            }

            @Override
            public void write(byte[] letters, int from, int count) {
            }
        });
    }
}
