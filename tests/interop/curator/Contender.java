// Contends with Curator's recipes until standard input ends, and tells a referee of every turn.

import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.io.PrintWriter;
import java.lang.reflect.Method;
import java.net.Socket;
import java.util.Random;
import java.util.concurrent.TimeUnit;
import org.apache.curator.framework.CuratorFramework;
import org.apache.curator.framework.CuratorFrameworkFactory;
import org.apache.curator.framework.recipes.leader.LeaderLatch;
import org.apache.curator.framework.recipes.locks.InterProcessMutex;
import org.apache.curator.framework.recipes.locks.InterProcessReadWriteLock;
import org.apache.curator.framework.recipes.locks.InterProcessSemaphoreV2;
import org.apache.curator.framework.recipes.locks.Lease;
import org.apache.curator.retry.RetryNTimes;
import org.apache.zookeeper.data.Stat;

public final class Contender {
    private static final int SESSION_MS = 4_000;
    private static final int CONNECTION_MS = 2_000;

    private final CuratorFramework client;
    private final String path;
    private final BufferedReader told;
    private final PrintWriter tell;
    private final Random random = new Random();

    private Contender(CuratorFramework client, String path, String referee) throws Exception {
        this.client = client;
        this.path = path;
        int colon = referee.lastIndexOf(':');
        Socket socket =
            new Socket(referee.substring(0, colon), Integer.parseInt(referee.substring(colon + 1)));
        socket.setTcpNoDelay(true);
        told = new BufferedReader(new InputStreamReader(socket.getInputStream()));
        tell = new PrintWriter(socket.getOutputStream(), true);
    }

    public static void main(String[] args) throws Exception {
        CuratorFramework client = CuratorFrameworkFactory.newClient(
            args[0], SESSION_MS, CONNECTION_MS, new RetryNTimes(100, 50));
        client.start();
        Thread end = new Thread(() -> {
            try {
                while (System.in.read() >= 0) {
                    continue;
                }
            } catch (Exception error) {
                // The other end has gone all the more.
            }
            Runtime.getRuntime().halt(0);
        });
        end.setDaemon(true);
        end.start();
        new Contender(client, args[2], args[3]).contend(args[1]);
    }

    private void contend(String recipe) throws Exception {
        if (recipe.equals("mutex")) {
            mutex(new InterProcessMutex(client, path), "alone");
        } else if (recipe.equals("write")) {
            mutex(new InterProcessReadWriteLock(client, path).writeLock(), "alone");
        } else if (recipe.equals("read")) {
            mutex(new InterProcessReadWriteLock(client, path).readLock(), "shared");
        } else if (recipe.startsWith("semaphore-")) {
            semaphore(Integer.parseInt(recipe.substring("semaphore-".length())));
        } else if (recipe.equals("latch")) {
            latch();
        } else {
            throw new IllegalArgumentException(recipe);
        }
    }

    private void mutex(InterProcessMutex mutex, String how) throws Exception {
        Method node = InterProcessMutex.class.getDeclaredMethod("getLockPath");
        node.setAccessible(true);
        while (true) {
            mutex.acquire();
            turn(how, (String) node.invoke(mutex));
            mutex.release();
        }
    }

    private void semaphore(int permits) throws Exception {
        InterProcessSemaphoreV2 semaphore = new InterProcessSemaphoreV2(client, path, permits);
        while (true) {
            Lease lease = semaphore.acquire();
            turn("one", path + "/leases/" + lease.getNodeName());
            semaphore.returnLease(lease);
        }
    }

    private void latch() throws Exception {
        while (true) {
            LeaderLatch latch = new LeaderLatch(client, path, "jvm");
            latch.start();
            latch.await();
            turn("alone", latch.getOurPath());
            latch.close();
        }
    }

    /** Is where only those may be who hold what they contend for; says by which token. */
    private void turn(String how, String node) throws Exception {
        Stat stat = client.checkExists().forPath(node);
        say("enter " + how + " " + stat.getCzxid());
        TimeUnit.MICROSECONDS.sleep(random.nextInt(2_000));
        say("leave");
    }

    private void say(String what) throws Exception {
        tell.println(what);
        if (told.readLine() == null) {
            Runtime.getRuntime().halt(0);
        }
    }
}
