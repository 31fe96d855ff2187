package agentr;

import java.lang.reflect.Array;
import java.lang.reflect.Field;
import java.lang.reflect.Modifier;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.concurrent.atomic.AtomicLong;

/**
 * Keeps and takes up states of a running ScienceWorld game.
 *
 * <p>A state is the value of every field that may change, of every object that the game can reach. Taking it up
 * writes these values back into the same objects, so nothing is cloned, identities stay, and the game itself is left as
 * it is. Reflection alone: no agent, no Unsafe. Anything that is not known to be plain game data is refused, and the
 * caller replays actions instead.
 *
 * <p>Built for Java 8 and later: envs/scienceworld_java/build.sh
 */
final class Snapshots {
    private static final int WINDOW = 64;

    /** What is known of a class. */
    private static final class Layout {
        final long name;
        final Field[] traversed; // references that lead on, also those that never change
        final Field[] numbers; // primitives that may change
        final Field[] references; // references that may change
        final boolean unshared; // has one owner: needs no look whether it was met before
        Object[] met = new Object[4];
        int count;

        Layout(Class<?> type, List<Field> traversed, List<Field> numbers, List<Field> references, boolean unshared) {
            this.name = type.getName().hashCode();
            this.traversed = traversed.toArray(new Field[0]);
            this.numbers = numbers.toArray(new Field[0]);
            this.references = references.toArray(new Field[0]);
            this.unshared = unshared;
        }
    }

    /** The values of one object. */
    private static final class Record {
        final Object object;
        final Layout layout; // null: an array
        final long[] numbers;
        final Object values; // Object[] of references, or a copy of an array

        Record(Object object, Layout layout, long[] numbers, Object values) {
            this.object = object;
            this.layout = layout;
            this.numbers = numbers;
            this.values = values;
        }

        boolean same(long[] otherNumbers, Object otherValues) {
            if (layout != null) {
                return Arrays.equals(numbers, otherNumbers) && sameReferences((Object[]) values, (Object[]) otherValues);
            }
            return values instanceof Object[] && sameReferences((Object[]) values, (Object[]) otherValues);
        }

        private static boolean sameReferences(Object[] a, Object[] b) {
            if (a.length != b.length) {
                return false;
            }
            for (int i = 0; i < a.length; i++) {
                if (a[i] != b[i]) {
                    return false;
                }
            }
            return true;
        }

        void restore() throws IllegalAccessException {
            if (layout == null) {
                System.arraycopy(values, 0, object, 0, Array.getLength(values));
                return;
            }
            for (int i = 0; i < numbers.length; i++) {
                write(layout.numbers[i], object, numbers[i]);
            }
            Object[] references = (Object[]) values;
            for (int i = 0; i < references.length; i++) {
                layout.references[i].set(object, references[i]);
            }
        }
    }

    /** One kept state. */
    static final class State {
        private final Record[] records;
        private final long seed;
        private final double nextGaussian;
        private final boolean hasNextGaussian;

        private State(Record[] records, long seed, double nextGaussian, boolean hasNextGaussian) {
            this.records = records;
            this.seed = seed;
            this.nextGaussian = nextGaussian;
            this.hasNextGaussian = hasNextGaussian;
        }
    }

    private final Object[] roots;
    private final Random random;
    private final Field seed;
    private final Field nextGaussian;
    private final Field hasNextGaussian;
    private final Map<String, Layout> layouts = new HashMap<>(); // by name: a class hashes by identity
    private final LinkedHashMap<Integer, State> states;
    private Record[] last = new Record[0];
    private int next = 1;
    private long digest;

    /**
     * For one game.
     *
     * @param game its PythonInterface
     * @param capacity how many states are kept; the one not used for longest goes first
     */
    Snapshots(Object game, final int capacity) throws ReflectiveOperationException {
        ClassLoader loader = game.getClass().getClassLoader();
        roots = new Object[] {
            game, module(loader, "util.UniqueIdentifier$"),
            module(loader, "main.scala.scienceworld.runtime.SimplifierProcessor$")
        };
        random = (Random) field(Class.forName("scala.util.Random", true, loader), "self")
            .get(module(loader, "scala.util.Random$"));
        seed = field(Random.class, "seed");
        nextGaussian = field(Random.class, "nextNextGaussian");
        hasNextGaussian = field(Random.class, "haveNextNextGaussian");
        states = new LinkedHashMap<Integer, State>(16, 0.75f, true) {
            @Override
            protected boolean removeEldestEntry(Map.Entry<Integer, State> eldest) {
                return size() > capacity;
            }
        };
    }

    /** Keeps the present state; returns its number. */
    int take() throws IllegalAccessException {
        states.put(next, present());
        return next++;
    }

    /** Takes up the state of that number; false where it is kept no more. */
    boolean restore(int number) throws IllegalAccessException {
        State state = states.get(number);
        if (state == null) {
            return false;
        }
        takeUp(state);
        return true;
    }

    /** Forgets the state of that number. */
    void drop(int number) {
        states.remove(number);
    }

    /** Forgets all states. */
    void clear() {
        states.clear();
        last = new Record[0];
    }

    /** A digest of the present state, less the log of past actions: equal where the state is equal. */
    String digest() throws IllegalAccessException {
        walk(null);
        mix(((AtomicLong) seed.get(random)).get());
        return String.format("%016x", digest);
    }

    /** The present state. */
    State present() throws IllegalAccessException {
        List<Record> records = new ArrayList<>(last.length + WINDOW);
        walk(records);
        last = records.toArray(new Record[0]);
        long counter = ((AtomicLong) seed.get(random)).get();
        return new State(last, counter, nextGaussian.getDouble(random), hasNextGaussian.getBoolean(random));
    }

    /** Takes up a state. */
    void takeUp(State state) throws IllegalAccessException {
        for (Record record : state.records) {
            record.restore();
        }
        ((AtomicLong) seed.get(random)).set(state.seed);
        nextGaussian.setDouble(random, state.nextGaussian);
        hasNextGaussian.setBoolean(random, state.hasNextGaussian);
        last = state.records;
    }

    private void walk(List<Record> records) throws IllegalAccessException {
        for (Layout layout : layouts.values()) {
            Arrays.fill(layout.met, 0, layout.count, null);
            layout.count = 0;
        }
        digest = 0x9E3779B97F4A7C15L;
        int expected = 0; // where the last state most likely has the next object
        ArrayDeque<Object> pending = new ArrayDeque<>(1024);
        for (Object root : roots) {
            meet(root, pending);
        }
        while (!pending.isEmpty()) {
            Object object = pending.pollLast();
            Layout layout = object.getClass().isArray() ? null : layout(object.getClass());
            long[] numbers = null;
            Object values;
            if (layout == null) {
                values = arrayOf(object, pending);
                if (values == null) {
                    continue;
                }
            } else {
                numbers = new long[layout.numbers.length];
                for (int i = 0; i < numbers.length; i++) {
                    numbers[i] = read(layout.numbers[i], object);
                    mix(numbers[i]);
                }
                Object[] references = new Object[layout.references.length];
                for (int i = 0; i < references.length; i++) {
                    references[i] = layout.references[i].get(object);
                }
                values = references;
                for (Field field : layout.traversed) {
                    meet(field.get(object), pending);
                }
                if (numbers.length == 0 && references.length == 0) {
                    continue;
                }
            }
            if (records == null) {
                continue;
            }
            int place = expected;
            int end = Math.min(last.length, expected + WINDOW);
            while (place < end && last[place].object != object) {
                place++;
            }
            if (place < end) {
                expected = place + 1;
                if (last[place].same(numbers, values)) {
                    records.add(last[place]); // states share what did not change
                    continue;
                }
            }
            records.add(new Record(object, layout, numbers, values));
        }
    }

    /** A copy of an array, its elements met; null where nothing in it can change. */
    private Object arrayOf(Object array, ArrayDeque<Object> pending) {
        int length = Array.getLength(array);
        mix(length);
        if (!(array instanceof Object[])) {
            Object copy = Array.newInstance(array.getClass().getComponentType(), length);
            System.arraycopy(array, 0, copy, 0, length);
            for (int i = 0; i < length; i++) {
                mix(Array.get(array, i).hashCode());
            }
            return copy;
        }
        Object[] copy = ((Object[]) array).clone();
        for (Object element : copy) {
            meet(element, pending);
        }
        return length == 0 ? null : copy;
    }

    /** Adds to the digest that this object is referred to here, and to what is to be walked unless it was met. */
    private void meet(Object object, ArrayDeque<Object> pending) {
        if (object == null) {
            mix(1);
            return;
        }
        Class<?> type = object.getClass();
        if (type == String.class || object instanceof Number || type == Boolean.class || type == Character.class) {
            mix(object.hashCode());
            return;
        }
        if (type.isArray()) {
            mix(2);
            pending.addLast(object);
            return;
        }
        Layout layout = layout(type);
        mix(layout.name);
        if (layout.traversed.length == 0 && layout.numbers.length == 0 && layout.references.length == 0) {
            return;
        }
        if (!layout.unshared) {
            for (int i = 0; i < layout.count; i++) {
                if (layout.met[i] == object) {
                    mix(i);
                    return;
                }
            }
            if (layout.count == layout.met.length) {
                layout.met = Arrays.copyOf(layout.met, 2 * layout.count);
            }
            layout.met[layout.count++] = object;
        }
        pending.addLast(object);
    }

    private Layout layout(Class<?> type) {
        Layout layout = layouts.get(type.getName());
        if (layout == null) {
            layout = examine(type);
            layouts.put(type.getName(), layout);
        }
        return layout;
    }

    private static Layout examine(Class<?> type) {
        String name = type.getName();
        boolean known = name.startsWith("scienceworld.") || name.startsWith("main.scala.scienceworld.")
            || name.startsWith("language.") || name.startsWith("util.") || name.startsWith("scala.");
        if (!known) {
            throw new IllegalStateException("not known to be game data: " + name);
        }
        List<Field> traversed = new ArrayList<>();
        List<Field> numbers = new ArrayList<>();
        List<Field> references = new ArrayList<>();
        boolean log = name.equals("scienceworld.goldagent.RunHistory"); // grows with every step, and nobody reads it
        for (Class<?> part = type; part != null && part != Object.class && !log; part = part.getSuperclass()) {
            Field[] fields = part.getDeclaredFields();
            Arrays.sort(fields, (a, b) -> a.getName().compareTo(b.getName())); // their order is the JVM's choice
            for (Field field : fields) {
                if (Modifier.isStatic(field.getModifiers())) {
                    continue;
                }
                field.setAccessible(true);
                boolean changes = !Modifier.isFinal(field.getModifiers());
                if (field.getType().isPrimitive()) {
                    if (changes) {
                        numbers.add(field);
                    }
                    continue;
                }
                if (changes) {
                    references.add(field);
                }
                // The makers of all tasks hold the objects of every other task; stepping never reaches them.
                if (!field.getName().equals("taskMaker")) {
                    traversed.add(field);
                }
            }
        }
        boolean unshared = name.equals("scala.Some") || name.equals("scala.collection.mutable.HashSet");
        return new Layout(type, traversed, numbers, references, unshared);
    }

    private void mix(long value) {
        digest = (digest ^ value) * 0xFF51AFD7ED558CCDL;
        digest ^= digest >>> 32;
    }

    private static long read(Field field, Object object) throws IllegalAccessException {
        Class<?> type = field.getType();
        if (type == int.class) {
            return field.getInt(object);
        }
        if (type == boolean.class) {
            return field.getBoolean(object) ? 1 : 0;
        }
        if (type == double.class) {
            return Double.doubleToRawLongBits(field.getDouble(object));
        }
        if (type == float.class) {
            return Float.floatToRawIntBits(field.getFloat(object));
        }
        if (type == char.class) {
            return field.getChar(object);
        }
        return field.getLong(object); // long, short, byte
    }

    private static void write(Field field, Object object, long value) throws IllegalAccessException {
        Class<?> type = field.getType();
        if (type == int.class) {
            field.setInt(object, (int) value);
        } else if (type == boolean.class) {
            field.setBoolean(object, value != 0);
        } else if (type == double.class) {
            field.setDouble(object, Double.longBitsToDouble(value));
        } else if (type == float.class) {
            field.setFloat(object, Float.intBitsToFloat((int) value));
        } else if (type == char.class) {
            field.setChar(object, (char) value);
        } else if (type == short.class) {
            field.setShort(object, (short) value);
        } else if (type == byte.class) {
            field.setByte(object, (byte) value);
        } else {
            field.setLong(object, value);
        }
    }

    private static Object module(ClassLoader loader, String name) throws ReflectiveOperationException {
        return Class.forName(name, true, loader).getField("MODULE$").get(null);
    }

    private static Field field(Class<?> type, String name) throws ReflectiveOperationException {
        Field field = type.getDeclaredField(name);
        field.setAccessible(true);
        return field;
    }
}
